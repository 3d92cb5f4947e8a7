"""The stack of the database: RDS in a VPC, or an existing one, and a secret for each login."""

from dataclasses import dataclass

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_logs as logs
from aws_cdk import aws_rds as rds
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from infra.nag import accept
from infra.settings import Stage

LOGINS = ("ingest", "transform", "reader")
DATABASE = "dora"


@dataclass(frozen=True)
class Network:
    """Where the functions run to reach the database."""

    vpc: ec2.IVpc
    group: ec2.ISecurityGroup


class DatabaseStack(Stack):
    """`admin` and `logins` are secrets; `address` is PG… variables; `network` None needs no VPC."""

    def __init__(self, scope: Construct, name: str, stage: Stage) -> None:
        super().__init__(scope, name)
        self.network: Network | None = None
        self.instance: rds.DatabaseInstance | None = None
        if stage.existing is None:
            self._make(stage)
        else:
            self.admin = secretsmanager.Secret.from_secret_complete_arn(
                self, "Admin", stage.existing.secret_arn
            )
            self.address = {
                "PGHOST": stage.existing.host,
                "PGPORT": str(stage.existing.port),
                "PGDATABASE": stage.existing.database,
            }
        self.address["PGSSLMODE"] = "require"
        self.logins = {login: self._login(login, stage) for login in LOGINS}

    def _make(self, stage: Stage) -> None:
        vpc = ec2.Vpc(
            self,
            "Vpc",
            max_azs=2,
            # GitHub is outside: one gateway, since a run that fails is made up for by the next.
            nat_gateways=1,
            restrict_default_security_group=False,
            subnet_configuration=[
                ec2.SubnetConfiguration(name="public", subnet_type=ec2.SubnetType.PUBLIC),
                ec2.SubnetConfiguration(
                    name="functions", subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS
                ),
                ec2.SubnetConfiguration(
                    name="database", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED
                ),
            ],
            flow_logs={
                "all": ec2.FlowLogOptions(
                    destination=ec2.FlowLogDestination.to_cloud_watch_logs(
                        logs.LogGroup(
                            self,
                            "FlowLog",
                            retention=logs.RetentionDays.ONE_WEEK,
                            removal_policy=RemovalPolicy.DESTROY,
                        )
                    )
                )
            },
        )
        functions = ec2.SecurityGroup(self, "Functions", vpc=vpc, description="dora functions")
        self.instance = rds.DatabaseInstance(
            self,
            "Instance",
            engine=rds.DatabaseInstanceEngine.postgres(
                version=rds.PostgresEngineVersion.of("18", "18")
            ),
            instance_type=ec2.InstanceType(stage.instance),
            vpc=vpc,
            vpc_subnets=ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_ISOLATED),
            publicly_accessible=False,
            database_name=DATABASE,
            credentials=rds.Credentials.from_username("dora_admin"),
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
        self.instance.connections.allow_default_port_from(functions)
        self.network = Network(vpc, functions)
        self._manage_password(self.instance)
        self.address = {
            "PGHOST": self.instance.db_instance_endpoint_address,
            "PGPORT": self.instance.db_instance_endpoint_port,
            "PGDATABASE": DATABASE,
        }
        accept(
            self.instance,
            {
                "AwsSolutions-RDS11": "The port is no secret; the security group lets in the "
                "functions alone.",
            }
            | ({} if stage.is_kept else {"AwsSolutions-RDS10": "Not prod: made to be thrown away."})
            | (
                {}
                if stage.multi_az
                else {"AwsSolutions-RDS3": "Not prod: an hour without it costs one late run."}
            ),
        )

    def _manage_password(self, instance: rds.DatabaseInstance) -> None:
        """Have RDS itself keep the administrator's password, and rotate it every week."""
        resource = instance.node.default_child
        assert isinstance(resource, rds.CfnDBInstance)
        resource.manage_master_user_password = True
        resource.master_user_password = None
        resource.master_username = "dora_admin"
        instance.node.try_remove_child("Secret")
        self.admin = secretsmanager.Secret.from_secret_complete_arn(
            self, "Admin", resource.attr_master_user_secret_secret_arn
        )

    def _login(self, login: str, stage: Stage) -> secretsmanager.Secret:
        secret = secretsmanager.Secret(
            self,
            f"{login.capitalize()}Login",
            description=f"dora-metrics {stage.name}: the database login of {login}",
            generate_secret_string=secretsmanager.SecretStringGenerator(
                secret_string_template=f'{{"username": "dora_{login}_login"}}',
                generate_string_key="password",
                exclude_punctuation=True,
                password_length=40,
            ),
        )
        accept(
            secret,
            {
                "AwsSolutions-SMG4": "Rotated by hand (docs/operations.md): a new value is set in "
                "the database by the next run's first step."
            },
        )
        return secret
