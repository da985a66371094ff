"""What a job that the kernel has killed says of that: inside_oom.py, in a kernel that has groups whose memory is limited."""
import pathlib

from kernel_fixture import boot, passed


def test_a_job_that_the_kernel_kills():
    passed(boot("init", pathlib.Path(__file__).with_name("inside_oom.py"), 500), "test_the_kernel_kills_it")
