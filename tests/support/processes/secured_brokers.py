"""Brokers as production has them: with TLS, logins and a virtual host."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
from functools import partial
from pathlib import Path
from string import Template

from orders.entrypoints.server.child_processes import free_ports
from tests.support.certificates import Certificates
from tests.support.processes.brokers import (
    KafkaServer,
    RabbitServer,
    listens,
    spawn,
    wait_until,
)

USER, PASSWORD = "orders", "p@ss/w:rd%&+"
VHOST = "shop/eu"

_KAFKA = Template("""\
process.roles=broker,controller
node.id=1
listeners=TLS://127.0.0.1:$tls,SASL://127.0.0.1:$sasl,\\
PLAIN://127.0.0.1:$plain,CONTROLLER://127.0.0.1:$controller
listener.security.protocol.map=TLS:SSL,SASL:SASL_SSL,PLAIN:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAIN
controller.listener.names=CONTROLLER
controller.quorum.voters=1@127.0.0.1:$controller
log.dirs=$data
num.partitions=3
offsets.topic.replication.factor=1
ssl.keystore.type=PEM
ssl.keystore.location=$keystore
ssl.truststore.type=PEM
ssl.truststore.location=$authority
listener.name.tls.ssl.client.auth=required
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER
connections.max.reauth.ms=3600000
listener.name.sasl.plain.sasl.jaas.config=$security.plain.PlainLoginModule required \\
user_$user="$password";
listener.name.sasl.scram-sha-256.sasl.jaas.config=$security.scram.ScramLoginModule required;
listener.name.sasl.scram-sha-512.sasl.jaas.config=$security.scram.ScramLoginModule required;
listener.name.sasl.oauthbearer.sasl.jaas.config=\\
$security.oauthbearer.OAuthBearerLoginModule required;
listener.name.sasl.oauthbearer.sasl.server.callback.handler.class=\\
$security.oauthbearer.OAuthBearerValidatorCallbackHandler
listener.name.sasl.oauthbearer.sasl.oauthbearer.jwks.endpoint.url=$issuer/jwks
listener.name.sasl.oauthbearer.sasl.oauthbearer.expected.audience=kafka
listener.name.sasl.oauthbearer.sasl.oauthbearer.expected.issuer=$issuer
""")


class SecuredRabbit(RabbitServer):
    """It speaks TLS only, asks for a client certificate, and has a user and a virtual host."""

    def __init__(self, directory: Path, certificates: Certificates) -> None:
        super().__init__(directory, plugins=["rabbitmq_auth_mechanism_ssl"])
        (self.tls_port,) = free_ports(1)
        definitions = directory / "definitions.json"
        definitions.write_text(_definitions())
        self.configuration = [
            f"listeners.ssl.1 = 127.0.0.1:{self.tls_port}",
            f"ssl_options.cacertfile = {certificates.authority}",
            f"ssl_options.certfile = {certificates.certificate}",
            f"ssl_options.keyfile = {certificates.key}",
            "ssl_options.verify = verify_peer",
            "ssl_options.fail_if_no_peer_cert = true",
            "ssl_cert_login_from = common_name",
            "auth_mechanisms.1 = PLAIN",
            "auth_mechanisms.2 = EXTERNAL",
            f"load_definitions = {definitions}",
        ]


def _definitions() -> str:
    salt = b"salt"
    digest = hashlib.sha256(salt + PASSWORD.encode()).digest()
    users = [
        {
            "name": name,
            "password_hash": base64.b64encode(salt + digest).decode(),
            "hashing_algorithm": "rabbit_password_hashing_sha256",
            "tags": "",
        }
        for name in (USER, "localhost")
    ]
    permissions = [
        {"user": each["name"], "vhost": VHOST, "configure": ".*", "write": ".*", "read": ".*"}
        for each in users
    ]
    return json.dumps(
        {
            "users": users,
            "vhosts": [{"name": VHOST}],
            "permissions": permissions,
        }
    )


class SecuredKafka(KafkaServer):
    """One Apache Kafka node with a listener for each way to secure one."""

    def __init__(
        self, directory: Path, jars: Path, certificates: Certificates, *, issuer: str
    ) -> None:
        """Take where the issuer of OAuth tokens publishes its keys: `{issuer}/jwks`."""
        self.tls_port, self.sasl_port, self._plain_port, self._controller = free_ports(4)
        self._directory = directory
        self._server: subprocess.Popen[bytes] | None = None
        self._java = [
            "java",
            "-Xmx384m",
            f"-Dorg.apache.kafka.sasl.oauthbearer.allowed.urls={issuer}/jwks",
            "-cp",
            f"{jars}/*",
        ]
        self.bootstrap = f"127.0.0.1:{self._plain_port}"
        self._port = self._plain_port
        keystore = directory / "keystore.pem"
        keystore.write_bytes(certificates.key.read_bytes() + certificates.certificate.read_bytes())
        self._properties = directory / "server.properties"
        self._properties.write_text(self._lines(keystore, certificates, issuer))
        scram = [
            word
            for kind in ("SCRAM-SHA-256", "SCRAM-SHA-512")
            for word in ("--add-scram", f"{kind}=[name={USER},password={PASSWORD}]")
        ]
        self._run("kafka.tools.StorageTool", "format", "-t", "b3JkZXJzLXRlc3RzLW9ubA", *scram, "-c")

    def restore(self) -> None:
        """Start the node; returns once all listeners take connections."""
        command = [*self._java, "kafka.Kafka", str(self._properties)]
        self._server = spawn(command, {"PATH": "/usr/bin:/bin"}, self._directory / "server.log")
        for port in (self.tls_port, self.sasl_port, self._plain_port):
            wait_until(partial(listens, port), self._server, self._directory)

    def _lines(self, keystore: Path, certificates: Certificates, issuer: str) -> str:
        return _KAFKA.substitute(
            tls=self.tls_port,
            sasl=self.sasl_port,
            plain=self._plain_port,
            controller=self._controller,
            data=self._directory / "data",
            keystore=keystore,
            authority=certificates.authority,
            issuer=issuer,
            user=USER,
            password=PASSWORD,
            security="org.apache.kafka.common.security",
        )
