"""Pretend that a person stopped the run, by the exit status."""

import os

import kit

assert kit.WORLD
os._exit(143)
