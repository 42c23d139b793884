"""Who measures a fleet: each file starts ``epochmark run`` on nodes by an engine that is there."""
