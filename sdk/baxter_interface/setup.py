"""Installs the Python library through catkin; for catkin only."""

from catkin_pkg.python_setup import generate_distutils_setup
from setuptools import setup

setup(**generate_distutils_setup(packages=["baxter_dataflow", "baxter_interface"], package_dir={"": "src"}))
