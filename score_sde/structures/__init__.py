"""What is known of molecules and proteins: bonds, graphs, superposition, local shape."""
