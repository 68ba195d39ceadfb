"""Event schemas: judged and kept, and made into views, dashboards and documents."""
