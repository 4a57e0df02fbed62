"""Runs a script beside this one, or a program's text, in a folder: in_folder.py FOLDER SCRIPT|-c ARGUMENTS"""

import os
import runpy
import sys
from pathlib import Path

folder, script, *arguments = sys.argv[1:]
os.chdir(folder)
if script == "-c":
    exec(arguments[0])
else:
    sys.argv = [script, *arguments]
    runpy.run_path(str(Path(__file__).parent / script), run_name="__main__")
