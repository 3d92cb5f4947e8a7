"""The stack of the role with which GitHub workflows deploy, without a stored AWS key."""

from aws_cdk import CfnOutput, Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.cdk_nag_exceptions import accept
from infra.settings import Stage

ISSUER = "token.actions.githubusercontent.com"
# `cdk bootstrap` creates these roles; their names contain this qualifier.
QUALIFIER = "hnb659fds"
BOOTSTRAPPED = ("deploy-role", "file-publishing-role", "lookup-role")


class DeployerStack(Stack):
    """A role for the repository's environment of the stage; a person deploys it once."""

    def __init__(self, scope: Construct, name: str, stage: Stage) -> None:
        super().__init__(scope, name)
        provider = self.format_arn(
            service="iam", region="", resource="oidc-provider", resource_name=ISSUER
        )
        role = iam.Role(
            self,
            "Role",
            assumed_by=iam.WebIdentityPrincipal(
                provider,
                {
                    "StringEquals": {
                        f"{ISSUER}:aud": "sts.amazonaws.com",
                        f"{ISSUER}:sub": f"repo:{stage.source_repository}:environment:{stage.name}",
                    }
                },
            ),
        )
        for statement in self._deploys(), *self._tries_out(stage):
            role.add_to_policy(statement)
        reason = "The ARNs of executions and stacks end in an id that AWS assigns."
        of = "<AWS::Partition>:{}:<AWS::Region>:<AWS::AccountId>"
        found = (
            f"arn:{of.format('cloudformation')}:stack/dora-{stage.name}-*/*",
            f"arn:{of.format('states')}:execution:dora-{stage.name}:*",
        )
        accept(role, {f"AwsSolutions-IAM5[Resource::{arn}]": reason for arn in found})
        CfnOutput(self, "DeployRole", value=role.role_arn)

    def _deploys(self) -> iam.PolicyStatement:
        arns = [
            self.format_arn(
                service="iam",
                region="",
                resource="role",
                resource_name=f"cdk-{QUALIFIER}-{role}-{self.account}-{self.region}",
            )
            for role in BOOTSTRAPPED
        ]
        return iam.PolicyStatement(actions=["sts:AssumeRole"], resources=arns)

    def _tries_out(self, stage: Stage) -> list[iam.PolicyStatement]:
        """Return the rights that `infra.smoke` needs."""
        may: dict[str, tuple[str, str, str]] = {
            "cloudformation:DescribeStacks": ("cloudformation", "stack", f"dora-{stage.name}-*/*"),
            "states:StartExecution": ("states", "stateMachine", f"dora-{stage.name}"),
            "states:DescribeExecution": ("states", "execution", f"dora-{stage.name}:*"),
        }
        return [
            iam.PolicyStatement(actions=[action], resources=[self._arn(*where)])
            for action, where in may.items()
        ]

    def _arn(self, service: str, resource: str, name: str) -> str:
        separator = "/" if service == "cloudformation" else ":"
        where = f"{self.region}:{self.account}"
        return f"arn:{self.partition}:{service}:{where}:{resource}{separator}{name}"
