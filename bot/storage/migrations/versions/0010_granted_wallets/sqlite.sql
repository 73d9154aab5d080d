CREATE INDEX accounts_granted ON accounts (platform, workspace) WHERE scope = 'granted'
