"""For people to look: at sources before a build, at a build, at its rows."""
