"""The methods that the paper compares its network with (sections IV.C and IV.D), each tuned as it says."""
