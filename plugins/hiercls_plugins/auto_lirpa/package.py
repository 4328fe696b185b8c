"""Where auto_LiRPA comes from."""

from hiercls.words.packages import Package

AUTO_LIRPA = Package(
    "auto_LiRPA",
    "pip install appdirs graphviz packaging tqdm && "
    "pip install --no-deps git+https://github.com/Verified-Intelligence/auto_LiRPA.git",
)
"""Its release pins an old torch and its head a test runner: an ordinary install would replace this torch."""
