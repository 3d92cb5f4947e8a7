"""The database stack: RDS in a VPC or an existing database, and a secret for each login."""

import json
from dataclasses import dataclass

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_logs as logs
from aws_cdk import aws_rds as rds
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from infra.cdk_nag_exceptions import accept
from infra.settings import ExistingDatabase, Stage
from transform.dbt_runner import PARSED_FOR

LOGINS = ("ingest", "transform", "reader")
ADMINISTRATOR = "dora_admin"
ENGINE = rds.DatabaseInstanceEngine.postgres(version=rds.PostgresEngineVersion.of("18", "18"))


@dataclass(frozen=True)
class Network:
    """The VPC and security group of the functions, from which they reach the database."""

    vpc: ec2.IVpc
    group: ec2.ISecurityGroup


class DatabaseStack(Stack):
    """The database and its secrets.

    `admin` and `logins` are secrets; `address` holds `PG…` environment variables. `network` and
    `instance` are None if the stage uses an existing database.
    """

    def __init__(self, scope: Construct, name: str, stage: Stage) -> None:
        super().__init__(scope, name)
        self.network: Network | None = None
        self.instance: rds.DatabaseInstance | None = None
        if stage.use_existing_database is None:
            self.network = self._make_network()
            self.instance = self._make_instance(stage, self.network)
            self.admin = self._have_rds_keep_the_password(self.instance)
            self.address = {
                "PGHOST": self.instance.db_instance_endpoint_address,
                "PGPORT": self.instance.db_instance_endpoint_port,
                "PGDATABASE": PARSED_FOR,
            }
        else:
            self._use(stage.use_existing_database)
        self.address["PGSSLMODE"] = "require"
        self.logins = {login: self._login(login, stage) for login in LOGINS}

    def _use(self, existing: ExistingDatabase) -> None:
        self.admin = secretsmanager.Secret.from_secret_complete_arn(
            self, "Admin", existing.secret_arn
        )
        self.address = {
            "PGHOST": existing.host,
            "PGPORT": str(existing.port),
            "PGDATABASE": existing.database,
        }

    def _make_network(self) -> Network:
        flow_log = logs.LogGroup(
            self,
            "FlowLog",
            retention=logs.RetentionDays.ONE_WEEK,
            removal_policy=RemovalPolicy.DESTROY,
        )
        kinds = {
            "public": ec2.SubnetType.PUBLIC,
            "functions": ec2.SubnetType.PRIVATE_WITH_EGRESS,
            "database": ec2.SubnetType.PRIVATE_ISOLATED,
        }
        vpc = ec2.Vpc(
            self,
            "Vpc",
            max_azs=2,
            # The ingest calls GitHub. One is enough: after an outage the next run catches up.
            nat_gateways=1,
            # The CDK would do this with a custom resource that has more rights than our functions.
            restrict_default_security_group=False,
            subnet_configuration=[
                ec2.SubnetConfiguration(name=name, subnet_type=kind) for name, kind in kinds.items()
            ],
            flow_logs={
                "all": ec2.FlowLogOptions(
                    destination=ec2.FlowLogDestination.to_cloud_watch_logs(flow_log)
                )
            },
        )
        group = ec2.SecurityGroup(self, "Functions", vpc=vpc, description="dora-metrics functions")
        return Network(vpc, group)

    def _make_instance(self, stage: Stage, network: Network) -> rds.DatabaseInstance:
        instance = rds.DatabaseInstance(
            self,
            "Instance",
            engine=ENGINE,
            instance_type=ec2.InstanceType(stage.instance),
            vpc=network.vpc,
            vpc_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED),
            publicly_accessible=False,
            database_name=PARSED_FOR,
            credentials=rds.Credentials.from_username(ADMINISTRATOR),
            storage_encrypted=True,
            storage_type=rds.StorageType.GP3,
            allocated_storage=stage.storage_gib,
            max_allocated_storage=stage.max_storage_gib,
            backup_retention=Duration.days(stage.backup_days),
            copy_tags_to_snapshot=True,
            deletion_protection=stage.is_kept,
            removal_policy=RemovalPolicy.SNAPSHOT if stage.is_kept else RemovalPolicy.DESTROY,
            multi_az=stage.multi_az,
            auto_minor_version_upgrade=True,
            cloudwatch_logs_exports=["postgresql"],
            parameters={"rds.force_ssl": "1"},
        )
        instance.connections.allow_default_port_from(network.group)
        reasons = {
            "AwsSolutions-RDS11": "The port is not secret; only the functions' security group may "
            "connect."
        }
        if not stage.is_kept:
            reasons["AwsSolutions-RDS10"] = "Disposable: its data can be read from GitHub again."
        if not stage.multi_az:
            reasons["AwsSolutions-RDS3"] = "If it is unavailable for an hour, one run is late."
        accept(instance, reasons)
        return instance

    def _have_rds_keep_the_password(self, instance: rds.DatabaseInstance) -> secretsmanager.ISecret:
        """Let RDS generate the administrator's password and rotate it every week."""
        resource = instance.node.default_child
        assert isinstance(resource, rds.CfnDBInstance)
        resource.manage_master_user_password = True
        resource.master_user_password = None
        resource.master_username = ADMINISTRATOR
        instance.node.try_remove_child("Secret")
        return secretsmanager.Secret.from_secret_complete_arn(
            self, "Admin", resource.attr_master_user_secret_secret_arn
        )

    def _login(self, login: str, stage: Stage) -> secretsmanager.Secret:
        secret = secretsmanager.Secret(
            self,
            f"{login.capitalize()}Login",
            description=f"dora-metrics {stage.name}: the database login of {login}",
            generate_secret_string=secretsmanager.SecretStringGenerator(
                secret_string_template=json.dumps(
                    {"username": f"{stage.schema_prefix}dora_{login}_login"}
                ),
                generate_string_key="password",
                exclude_punctuation=True,
                password_length=40,
            ),
        )
        reason = "Rotated by hand (docs/operations.md); the next run's first step sets a new value."
        accept(secret, {"AwsSolutions-SMG4": reason})
        return secret
