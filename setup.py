"""Installs the Python library through catkin; for catkin only."""

from catkin_pkg.python_setup import generate_distutils_setup
from setuptools import setup

setup(**generate_distutils_setup(packages=["grasp_learning"], package_dir={"": "src"}))
