"""What is fetched or built, checked and cached: servers, packages, releases, the box."""
