"""How machines are named."""

import pytest

from speed.provenance import machine_label, processor_name
from speed.results import Machine

X86 = "cpu family\t: 25\nmodel\t\t: 17\nmodel name\t: AMD EPYC\nstepping\t: 1\n"
ARM = "processor\t: 0\nCPU part\t: 0xd0b\n\nModel\t\t: Raspberry Pi 5 Model B Rev 1.0\n"


@pytest.mark.parametrize(
    ("cpuinfo", "name"), [(X86, "AMD EPYC family 25 model 17"), (ARM, "Raspberry Pi 5 Model B Rev 1.0")]
)
def test_processor_name_is_what_the_kernel_says(tmp_path, cpuinfo, name):
    (tmp_path / "cpuinfo").write_text(cpuinfo)
    assert processor_name(tmp_path / "cpuinfo") == name


def test_label_can_be_a_file_name():
    machine = Machine("generic", "Intel(R) Xeon(R) @ 2.1GHz", "x86_64", 4, 1, "Linux", 0.0)
    assert machine_label(machine) == "intel-r-xeon-r-2-1ghz-4-cores"
