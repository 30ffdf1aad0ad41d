"""Write to the person's terminal past everything that cleans what is shown."""

from kit import blocked, tried

try:
    with open("/dev/tty", "w") as terminal:
        terminal.write("WRITTEN-TO-TERMINAL")
except OSError as error:
    blocked(error)
tried("written")
