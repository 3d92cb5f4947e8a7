{#- Every merged pull request has either a first deployment or a reason. -#}
{% test has_deployment_or_reason(model) %}

select *
from {{ model }}
where (deployment_id is null) = (not_deployed_reason is null)

{% endtest %}

{#- Only a `deploy` can fail, and it recovers after its deployment. -#}
{% test recoveries_follow_failures(model) %}

select *
from {{ model }}
where
    (is_failed and kind <> 'deploy')
    or (recovered_at is not null and not is_failed)
    or recovered_at <= deployed_at

{% endtest %}

{#- The shares of a deployment are divided by all its changes, so they add up to 1 at
    most, unless the weights of a person add up to more. -#}
{% test shares_within_one(model) %}

with

shares as (
    select * from {{ model }}
)

select
    shares.deployment_id,
    sum(shares.share) as total_share
from shares
group by shares.deployment_id
having
    sum(shares.share) > 1 + 1e-9
    and not exists (
        select from {{ ref('int_deployment_changes') }} as changes
        inner join {{ ref('int_pull_requests_attributed') }} as attributed
            on changes.pull_request_id = attributed.pull_request_id
        where
            changes.deployment_id = shares.deployment_id
            and changes.is_current
            and attributed.is_current
            and not attributed.is_group
        group by changes.pull_request_id
        having sum(attributed.weight) > 1
    )

{% endtest %}
