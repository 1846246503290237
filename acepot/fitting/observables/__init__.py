"""What can be fitted and compared: one class a file. A new file is imported here."""

from acepot.fitting.observables.base import DesignRows, Evaluate, Observable
from acepot.fitting.observables.elastic_constants import ElasticConstants
from acepot.fitting.observables.energy import Energy
from acepot.fitting.observables.force_constants import ForceConstants
from acepot.fitting.observables.forces import Forces
from acepot.fitting.observables.formation_energy import FormationEnergy
from acepot.fitting.observables.virial import Virial

__all__ = [
    "DesignRows",
    "ElasticConstants",
    "Energy",
    "Evaluate",
    "ForceConstants",
    "Forces",
    "FormationEnergy",
    "Observable",
    "Virial",
]
