//! Recipes, run folders, PNG metadata and atomic writes.
