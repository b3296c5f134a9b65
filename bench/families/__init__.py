"""Families of models: what each knows of its programs, its data and the truth; `registry` names them all."""
