// What the HTTP figures say.

import { HTTP_REFERENCE, httpContestants } from '../contestants/http/registry.ts'
import type { Contest } from '../harness/rounds.ts'
import { type Bar, barChart } from '../report/charts.ts'
import { bytes, figure, spread, table, tick } from '../report/markdown.ts'
import { type HttpData, type Workload, workloads } from './httpData.ts'
import type { Gate, Telling } from './section.ts'

const OURS = 'guru'
const FASTEST_STACK = 'undici-cockatiel'

const nameOf = (id: string) => httpContestants[id]?.name ?? id
const kindOf = (id: string): Bar['kind'] => {
  const kind = httpContestants[id]?.kind
  return kind === 'ours' ? 'ours' : kind === 'baseline' ? 'base' : 'peer'
}

/** A median of the contest, or NaN when that contestant did not run. */
function medianOf(contest: Contest, id: string, name: string, what: 'figures' | 'ratios' = 'ratios'): number {
  return contest[what][id]?.[name]?.median ?? Number.NaN
}

function contestTable(contest: Contest, allocation: HttpData['allocation'] | undefined): string {
  const ids = Object.keys(contest.ratios).toSorted(
    (a, b) => medianOf(contest, a, 'cpuUs') - medianOf(contest, b, 'cpuUs'),
  )
  const head = [
    'contestant',
    'retry',
    'breaker',
    'limiter',
    'timeout',
    'req/s',
    'req/s, ratio',
    'CPU per call',
    'CPU, ratio',
  ]
  if (allocation) head.push('heap per call')
  return table(
    head,
    ids.map((id) => {
      const entry = httpContestants[id]
      const cells = [
        entry?.kind === 'ours' ? `**${nameOf(id)}**` : nameOf(id),
        ...[entry?.retry, entry?.breaker, entry?.limiter, entry?.timeout].map((has) => tick(has === true)),
        figure(medianOf(contest, id, 'perSecond', 'figures')),
        spread(contest.ratios[id]?.perSecond ?? { median: Number.NaN, min: Number.NaN, max: Number.NaN }),
        `${figure(medianOf(contest, id, 'cpuUs', 'figures'))} µs`,
        spread(contest.ratios[id]?.cpuUs ?? { median: Number.NaN, min: Number.NaN, max: Number.NaN }),
      ]
      if (allocation) cells.push(bytes(allocation[id]?.bytes ?? Number.NaN))
      return cells
    }),
  )
}

function cpuChart(contest: Contest, title: string): string {
  const bars = Object.entries(contest.ratios)
    .map(([id, { cpuUs }]) => ({
      label: nameOf(id),
      value: cpuUs?.median ?? 0,
      min: cpuUs?.min ?? 0,
      max: cpuUs?.max ?? 0,
      kind: kindOf(id),
    }))
    .toSorted((a, b) => a.value - b.value)
  return barChart({
    title: `${title}: CPU per call`,
    subtitle: 'times raw undici.request; shorter is better; whiskers: least and most of all rounds',
    bars,
    mark: 1,
    format: (value) => `${value.toFixed(2)} x`,
  })
}

function gates(data: HttpData): Gate[] {
  const { get50, post50 } = data.contests
  const vsFetch = medianOf(get50, OURS, 'cpuUs') / medianOf(get50, 'fetch', 'cpuUs')
  const fetchSpeed = medianOf(get50, 'guru-fetch', 'perSecond') / medianOf(get50, 'fetch', 'perSecond')
  const ahead = (contest: Contest, name: string) =>
    medianOf(contest, OURS, name) / medianOf(contest, FASTEST_STACK, name)
  const gate = (figure: string, bound: Gate['bound'], must: number, aim: number, measured: number): Gate => ({
    figure,
    bound,
    must,
    aim,
    measured,
    unit: 'x',
  })
  return [
    gate(
      'GET 1 KB, every default policy, 50 at a time: req/s against undici.request',
      'min',
      0.9,
      0.97,
      medianOf(get50, OURS, 'perSecond'),
    ),
    gate('the same: CPU per call against undici.request', 'max', 1.15, 1.05, medianOf(get50, OURS, 'cpuUs')),
    gate(
      'POST 1 KB JSON: req/s against undici.request',
      'min',
      0.88,
      0.95,
      medianOf(post50, OURS, 'perSecond'),
    ),
    gate('the same: CPU per call against undici.request', 'max', 1.18, 1.08, medianOf(post50, OURS, 'cpuUs')),
    gate('GET: CPU per call against global fetch', 'max', 0.44, 0.38, vsFetch),
    gate('GET: req/s against RetryAgent + cockatiel', 'min', 1, 1, ahead(get50, 'perSecond')),
    gate('GET: CPU per call against RetryAgent + cockatiel', 'max', 1, 1, ahead(get50, 'cpuUs')),
    gate('POST: CPU per call against RetryAgent + cockatiel', 'max', 1, 1, ahead(post50, 'cpuUs')),
    gate('client.fetch: req/s against global fetch', 'min', 1, 1.5, fetchSpeed),
  ]
}

/** Who did better than ours, in whose words it counts: less CPU or more calls. */
function betterThanOurs(data: HttpData): string[] {
  const lines: string[] = []
  for (const [name, { title }] of Object.entries(workloads)) {
    const contest = data.contests[name as Workload]
    const ours = medianOf(contest, OURS, 'cpuUs')
    const better = Object.keys(contest.ratios)
      .filter((id) => httpContestants[id]?.kind !== 'ours' && id !== HTTP_REFERENCE)
      .filter((id) => medianOf(contest, id, 'cpuUs') < ours)
      .map((id) => `${nameOf(id)} (${(medianOf(contest, id, 'cpuUs') / ours).toFixed(2)} of our CPU)`)
    if (better.length) lines.push(`- ${title}: ${better.join(', ')}.`)
  }
  return lines
}

export function tellHttp(data: HttpData): Telling {
  const parts = [
    'A closed loop: so many lanes, each waits for its parsed answer before it asks again. Ratios are against raw ' +
      '`undici.request` in the slices just before and after, with the least and the most of all rounds in brackets. ' +
      'CPU is that of the whole client process: all threads, garbage collection and compilation included.',
    `Calls made by all contestants: ${data.callsMade.toLocaleString('en-US')}; requests that the server counted: ${data.requestsServed.toLocaleString('en-US')}.`,
  ]
  const charts: Telling['charts'] = {}
  for (const [name, { title }] of Object.entries(workloads)) {
    const contest = data.contests[name as Workload]
    charts[`http-${name}`] = cpuChart(contest, title)
    parts.push(
      `### ${title}`,
      `![${title}](http-${name}.svg)`,
      contestTable(contest, name === 'get50' ? data.allocation : undefined),
    )
    const failed = Object.entries(contest.failures)
    if (failed.length) {
      parts.push(failed.map(([id, why]) => `- ${nameOf(id)} did not run: ${why}`).join('\n'))
    }
  }
  const better = betterThanOurs(data)
  parts.push(
    '### Where a rival is better',
    better.length ? better.join('\n') : 'No rival needs less CPU than ours in these rounds.',
  )
  return { markdown: parts.join('\n\n'), charts, gates: gates(data) }
}
