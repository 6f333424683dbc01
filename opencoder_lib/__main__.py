"""python -m opencoder_lib VERB, the same as opencoder VERB."""

from opencoder_lib.cli import main

if __name__ == "__main__":
    main()
