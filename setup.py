"""Installs the Python library through catkin; for catkin only."""

from catkin_pkg.python_setup import generate_distutils_setup
from setuptools import find_packages, setup

setup(
    **generate_distutils_setup(
        packages=find_packages("src"),
        package_dir={"": "src"},
        # what an installed library reads beside its modules: the template of the report
        package_data={"grasp_learning.reporting": ["templates/*"]},
    )
)
