"""What charts share: what a chart is, its theme, its bars."""
