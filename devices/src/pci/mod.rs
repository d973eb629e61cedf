//! PCI Express: configuration space, host bridge, BARs, INTx and MSI-X.
