"""Who may do what in the cluster: its secrets, what agents are told, and the rules.

secrets     made once, on the operator's machine
settings    what each node's Consul and Nomad are told beside consul/ and nomad/
certificates  by openssl, with an authority for each kind of agent
rotation    other keys and certificates while the cluster runs
grants      the rules of consul/acl/ and nomad/acl/, put into effect
"""
