{{ config(materialized='table') }}

with

compared as (
    select
        *,
        current_value - earlier_value as difference
    from {{ ref('int_team_trends_compared') }}
),

phases as (
    select * from {{ ref('int_team_trend_phases_summed') }}
),

judged as (
    select
        *,
        case
            when
                coalesce(least_weeks, 0) < 8
                or least(sample_size, earlier_sample_size) < least_sample_size
                then 'too_little_data'
            when
                difference = 0
                or abs(difference) < least_change
                or greatest(current_value, earlier_value)
                < 1.2 * least(current_value, earlier_value)
                -- More than 2.5 standard errors, in the same direction.
                or excess * sign(difference) <= 0
                or excess * excess < 2.5 * 2.5 * variance
                then 'as_usual'
            when (difference > 0) = is_higher_worse then 'worse'
            else 'better'
        end as verdict
    from compared
),

explained as (
    select
        judged.*,
        main_phase.phase,
        main_phase.hours as phase_hours,
        main_phase.earlier_hours as earlier_phase_hours
    from judged
    -- The phase whose median changed most in the same direction.
    left join
        lateral (
            select
                phases.phase,
                phases.hours,
                earlier_phases.hours as earlier_hours
            from phases
            inner join phases as earlier_phases
                on phases.team_id = earlier_phases.team_id
                and phases.metric = earlier_phases.metric
                and phases.phase = earlier_phases.phase
            where
                phases.team_id = judged.team_id
                and phases.metric = judged.metric
                and phases.span = 'current'
                and earlier_phases.span = judged.compared_with
                and (phases.hours - earlier_phases.hours) * judged.difference > 0
            order by abs(phases.hours - earlier_phases.hours) desc, phases.phase asc
            limit 1
        ) as main_phase
        on judged.verdict in ('better', 'worse')
)

select
    team_id,
    metric,
    compared_with,
    verdict,
    current_value,
    earlier_value,
    sample_size,
    earlier_sample_size,
    first_week,
    earlier_first_week,
    0.5 + excess / (2 * sample_size * earlier_sample_size) as probability_higher,
    phase,
    phase_hours,
    earlier_phase_hours
from explained
