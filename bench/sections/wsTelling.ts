// What the WebSocket figures say.

import { WS_REFERENCE, wsContestants } from '../contestants/ws/registry.ts'
import type { Contest } from '../harness/rounds.ts'
import { type Bar, barChart } from '../report/charts.ts'
import { bytes, figure, spread, table, tick } from '../report/markdown.ts'
import type { Gate, Telling } from './section.ts'
import { type WsData, type WsTaskName, wsTasks } from './wsData.ts'

const OURS = 'guru'
const SESSION = 'guru-session'
const NOTHING = { median: Number.NaN, min: Number.NaN, max: Number.NaN }

const nameOf = (id: string) => wsContestants[id]?.name ?? id
const kindOf = (id: string): Bar['kind'] => {
  const kind = wsContestants[id]?.kind
  return kind === 'ours' ? 'ours' : kind === 'baseline' ? 'base' : 'peer'
}

function ratioOf(contest: Contest, id: string, name: string): number {
  return contest.ratios[id]?.[name]?.median ?? Number.NaN
}

function contestTable(contest: Contest, allocation: (id: string) => number): string {
  const ids = Object.keys(contest.ratios).toSorted(
    (a, b) => ratioOf(contest, a, 'cpuUs') - ratioOf(contest, b, 'cpuUs'),
  )
  return table(
    [
      'contestant',
      'reconnects',
      'queues',
      'messages/s',
      'messages/s, ratio',
      'CPU per message',
      'CPU, ratio',
      'heap per message',
    ],
    ids.map((id) => {
      const entry = wsContestants[id]
      return [
        entry?.kind === 'ours' ? `**${nameOf(id)}**` : nameOf(id),
        tick(entry?.reconnects === true),
        tick(entry?.queues === true),
        figure(contest.figures[id]?.perSecond?.median ?? Number.NaN),
        spread(contest.ratios[id]?.perSecond ?? NOTHING),
        `${figure(contest.figures[id]?.cpuUs?.median ?? Number.NaN)} µs`,
        spread(contest.ratios[id]?.cpuUs ?? NOTHING),
        bytes(allocation(id)),
      ]
    }),
  )
}

function chart(contest: Contest, title: string): string {
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
    title: `${title}: CPU per message`,
    subtitle: 'times raw ws; shorter is better; whiskers: least and most of all rounds',
    bars,
    mark: 1,
    format: (value) => `${value.toFixed(2)} x`,
  })
}

function gates({ contests }: WsData): Gate[] {
  const speed = (figure: string, task: WsTaskName, must: number, aim: number): Gate => ({
    figure: `${figure}: messages/s against raw ws`,
    bound: 'min',
    must,
    aim,
    measured: ratioOf(contests[task], OURS, 'perSecond'),
    unit: 'x',
  })
  const cpu = (figure: string, task: WsTaskName): Gate => ({
    figure: `${figure}: CPU per message against raw ws`,
    bound: 'max',
    must: 1.1,
    aim: 1.05,
    measured: ratioOf(contests[task], OURS, 'cpuUs'),
    unit: 'x',
  })
  const session = (figure: string, task: WsTaskName, must: number, aim: number): Gate[] => {
    const of = (id: string, what: 'perSecond' | 'cpuUs') => ratioOf(contests[task], id, what)
    return [
      {
        figure: `${figure} in a session: messages/s against raw ws`,
        bound: 'min',
        must,
        aim,
        measured: of(SESSION, 'perSecond'),
        unit: 'x',
      },
      {
        figure: `${figure} in a session: CPU per message against the plain line`,
        bound: 'max',
        must: 1.15,
        aim: 1.05,
        measured: of(SESSION, 'cpuUs') / of(OURS, 'cpuUs'),
        unit: 'x',
      },
    ]
  }
  return [
    ...session('WebSocket flood down', 'down', 0.8, 0.9),
    ...session('WebSocket echo', 'echo', 0.9, 0.95),
    ...session('WebSocket flood up', 'up', 1.4, 2),
    speed('WebSocket flood down', 'down', 0.9, 0.95),
    cpu('WebSocket flood down', 'down'),
    speed('WebSocket echo', 'echo', 0.97, 1),
    cpu('WebSocket echo', 'echo'),
    speed('WebSocket flood up', 'up', 1.8, 2.5),
    cpu('WebSocket flood up', 'up'),
  ]
}

export function tellWs(data: WsData): Telling {
  const parts = [
    'JSON messages of about 200 bytes; every contestant hands its application parsed objects and takes objects to send, ' +
      'so raw `ws` has `JSON.parse` and `JSON.stringify` around it. All use `ws` as their socket. One server process ' +
      'speaks every protocol, over pre-built frames in the flood down, so that the client is what limits.',
  ]
  const charts: Telling['charts'] = {}
  for (const [name, title] of Object.entries(wsTasks)) {
    const task = name as WsTaskName
    const contest = data.contests[task]
    charts[`ws-${name}`] = chart(contest, title)
    parts.push(
      `### ${title}`,
      `![${title}](ws-${name}.svg)`,
      contestTable(contest, (id) => data.allocation[id]?.[task] ?? Number.NaN),
    )
    const failed = Object.entries(contest.failures)
    if (failed.length) parts.push(failed.map(([id, why]) => `- ${nameOf(id)} did not run: ${why}`).join('\n'))
  }
  const better = Object.entries(wsTasks).flatMap(([name, title]) => {
    const contest = data.contests[name as WsTaskName]
    const ours = ratioOf(contest, OURS, 'cpuUs')
    const ids = Object.keys(contest.ratios).filter(
      (id) =>
        wsContestants[id]?.kind !== 'ours' && id !== WS_REFERENCE && ratioOf(contest, id, 'cpuUs') < ours,
    )
    return ids.length
      ? [
          `- ${title}: ${ids.map((id) => `${nameOf(id)} (${(ratioOf(contest, id, 'cpuUs') / ours).toFixed(2)} of our CPU)`).join(', ')}.`,
        ]
      : []
  })
  parts.push(
    '### Where a rival is better',
    better.length ? better.join('\n') : 'No rival needs less CPU than ours in these rounds.',
  )
  return { markdown: parts.join('\n\n'), charts, gates: gates(data) }
}
