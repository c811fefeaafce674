"""What a person types: words become values, a profile is picked, things are printed. No logic lives here."""
