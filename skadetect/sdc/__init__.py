"""SKA Science Data Challenges 1 and 2 from the official files to a scored submission, step by step.

from skadetect.sdc import Sdc1
Sdc1("data/", freq=560, hours=1000).train().tune().detect().score()
"""

from skadetect.sdc.bands import BandOptions, combine_bands
from skadetect.sdc.files import OfficialFile, sdc1_files, sdc2_files
from skadetect.sdc.rehearse import rehearse_bands, rehearse_sdc1, rehearse_sdc2
from skadetect.sdc.sdc1 import Sdc1
from skadetect.sdc.sdc2 import Sdc2

__all__ = [
    "BandOptions", "OfficialFile", "Sdc1", "Sdc2", "combine_bands", "rehearse_bands", "rehearse_sdc1",
    "rehearse_sdc2", "sdc1_files", "sdc2_files",
]  # fmt: skip
