"""The words of DESIGN §2 as types, the protocols the leaves implement, and the error tree."""
