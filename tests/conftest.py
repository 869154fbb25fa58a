"""What every test starts from."""

from hypothesis import settings

# Examples are judged by what they compute, not by how long a busy machine takes over them.
settings.register_profile("takt", deadline=None, print_blob=True)
settings.load_profile("takt")
