"""A look at data before they are fitted, and a choice among them.

`survey.survey` reads files and gathers what there is to know: labels, energies after reference
energies, stresses against the energies of neighbouring frames, duplicates, contacts and whatever
the labels' examination finds. `words` says it in lines and `page` draws it on one page of HTML.
`selection.select` picks the structures that determine a model best.
"""
