"""Furniture and other things of a home: meshes with names, of Sweet Home 3D's libraries.

    apt-get install sweethome3d-furniture
    python -m score_sde.data prepare furniture_points
    python -m score_sde.data prepare furniture_depth --from=FOLDER

A library is an .sh3f file, a zip of OBJ meshes and a list of what they are. `points` makes sets of
points on their surfaces, `depth` pictures with their depth.
"""
