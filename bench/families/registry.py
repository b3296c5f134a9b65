"""The registry of families: adding one is its programs, one module, and one line here."""

from bench.families.base import Family
from bench.families.eight_schools import EightSchools
from bench.families.normal_means import NormalMeans
from bench.families.radon import Radon
from bench.families.varying_slopes import VaryingSlopes

FAMILIES: dict[str, Family] = {
    family.name: family for family in (NormalMeans(), EightSchools(), Radon(), VaryingSlopes())
}
