"""Jobs, from the accepted request to the delivered result, through crashes."""
