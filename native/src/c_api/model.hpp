// What is behind an ace_evaluator.
#pragma once
#include <memory>

#include "ace/c_api.h"
#include "ace/evaluator.hpp"
#include "ace/rows.hpp"
#include "ace/threads.hpp"

struct ace_evaluator {
    std::unique_ptr<ace::Evaluator> evaluator;

    explicit ace_evaluator(std::unique_ptr<ace::Evaluator> made) : evaluator(std::move(made)) {}
    // Made when it is first asked for.
    ace::RowBuilder& rows();

  private:
    ace::Lock lock_;
    std::unique_ptr<ace::RowBuilder> rows_;
};

namespace ace::c_api {

// Throws Error on null.
ace_evaluator& model(ace_evaluator* given);

}  // namespace ace::c_api
