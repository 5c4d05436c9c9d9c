"""What a report states: typed records of one study, its layers, outcomes and tables, and how numbers are written."""
