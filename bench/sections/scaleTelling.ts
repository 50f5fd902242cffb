// What the figures of many say.

import { curveChart, type Series } from '../report/charts.ts'
import { bytes, figure, table } from '../report/markdown.ts'
import type { Day } from '../workers/day.ts'
import type { ItemCost } from '../workers/scaleItems.ts'
import { type Item, items, type ScaleData } from './scaleData.ts'
import type { Gate, Telling } from './section.ts'

const whole = (value: number) => value.toLocaleString('en-US')
const short = (value: number) => (value >= 1000 ? `${value / 1000}k` : `${value}`)
/** Ticks of logarithmic axes. */
const tickBytes = (value: number) =>
  value >= 2 ** 20
    ? `${Math.round(value / 2 ** 20)} MB`
    : value >= 10_000
      ? `${Math.round(value / 1000)} KB`
      : `${whole(value)} B`

interface Point {
  count: number
}

/** The cost of one among most, as a multiple of the cost of one among a tenth as many: 1 when all together grow in proportion. */
function growth<T extends Point>(points: readonly T[], cost: (point: T) => number | null): number {
  const last = points.at(-1)
  const tenth = points.find(({ count }) => count * 10 === last?.count)
  return (last && tenth && (cost(last) ?? Number.NaN) / (cost(tenth) ?? Number.NaN)) ?? Number.NaN
}

function gates({ connections, items: costs, days }: ScaleData): Gate[] {
  const flat = (figure: string, measured: number): Gate => ({
    figure: `${figure}, against a tenth as many`,
    bound: 'max',
    must: 1.5,
    aim: 1.1,
    measured,
    unit: 'x',
  })
  const small = (figure: string, { heaps }: Day): Gate => ({
    figure,
    bound: 'max',
    must: 1,
    aim: 0.5,
    measured: grown(heaps) / 2 ** 20,
    unit: 'MB',
  })
  const most = whole(connections.at(-1)?.count ?? Number.NaN)
  const time = (item: Item) => growth(costs[item], ({ ns }) => ns)
  const held = (item: Item) => growth(costs[item], (cost) => cost.held)
  return [
    flat(
      `${most} connections in a process: heap of one`,
      growth(connections, ({ heap }) => heap),
    ),
    flat(
      `${most} connections: CPU of an idle one`,
      growth(connections, ({ idleUs }) => idleUs),
    ),
    flat(
      `${most} connections: CPU of a message`,
      growth(connections, ({ messageUs }) => messageUs),
    ),
    flat(
      '100,000 endpoints in a limiter: CPU of a decision over what a bare Map has',
      time('limiter-roomy') / time('map'),
    ),
    flat('100,000 endpoints in a limiter: heap of one', held('limiter-roomy')),
    flat('100,000 messages in a queue: CPU of one', time('queue-plain')),
    flat('100,000 messages in a queue: heap of one', held('queue-plain')),
    flat('100,000 messages in the queue of a session: CPU of one', time('queue-session')),
    flat('100,000 messages in the queue of a session: heap of one', held('queue-session')),
    small(`heap growth over 24 simulated hours and ${whole(days.plain.sent)} messages`, days.plain),
    small(`the same in a session, ${whole(days.session.sent)} messages`, days.session),
  ]
}

/** From the end of the second hour, when all that is made once has been made. */
const grown = (heaps: readonly number[]) => (heaps.at(-1) ?? Number.NaN) - (heaps[2] ?? Number.NaN)

function connectionParts({ connections, tooMany }: ScaleData, charts: Telling['charts']): string[] {
  const series = (label: string, cost: (one: ScaleData['connections'][number]) => number | null): Series => ({
    label,
    points: connections.flatMap((one) => {
      const value = cost(one)
      return value !== null && value > 0 ? [[one.count, value] as const] : []
    }),
  })
  charts['scale-heap'] = curveChart({
    title: 'Heap of one connection among many',
    subtitle: 'bytes each, by connections in the process; level: cost grows in proportion',
    series: [series('heap each', ({ heap }) => heap)],
    formatX: short,
    formatY: tickBytes,
  })
  charts['scale-cpu'] = curveChart({
    title: 'CPU of one connection among many',
    subtitle: 'microseconds, by connections in the process; level: cost grows in proportion',
    series: [
      series('a message and its echo', ({ messageUs }) => messageUs),
      series('an idle second', ({ idleUs }) => idleUs),
    ],
    formatX: short,
    formatY: (value) => `${whole(value)} µs`,
  })
  return [
    '### Connections',
    'Plain connections of one process to one server. Idle: nothing but heartbeats, here every 5 s instead of 30. ' +
      'Trickle: a thousand messages a second, each on the next connection, each echoed; the CPU of the timer that sends them is taken off. ' +
      'The CPU of fewer than 100 idle connections cannot be told from that of the process.',
    '![Heap of one connection](scale-heap.svg)',
    '![CPU of one connection](scale-cpu.svg)',
    table(
      [
        'connections',
        'heap each',
        'memory of the process',
        'CPU of one a second, idle',
        'CPU of a message and its echo',
      ],
      connections.map(({ count, heap, rss, idleUs, messageUs }) => [
        whole(count),
        bytes(heap),
        `${figure(rss / 2 ** 20)} MB`,
        idleUs === null ? '' : `${figure(idleUs)} µs`,
        `${figure(messageUs)} µs`,
      ]),
    ),
    ...tooMany.map((count) => `${whole(count)} were more than the limit on open files allows here.`),
  ]
}

const ofEach = (costs: ScaleData['items'], of: readonly Item[], what: keyof ItemCost): Series[] =>
  of.map((item) => ({
    label: items[item]
      .replace(' that keeps', ',')
      .replace(' endpoints (default)', ' kept')
      .replace(' with room for all endpoints', ', room for all'),
    points: costs[item].flatMap((cost) => (cost[what] > 0 ? [[cost.count, cost[what]] as const] : [])),
  }))

function itemTable(costs: ScaleData['items'], of: readonly Item[], noun: string): string {
  return table(
    [noun, ...of.flatMap((item) => [`${items[item]}: CPU`, 'allocated', 'held'])],
    (costs[of[0] as Item] ?? []).map(({ count }, index) => [
      whole(count),
      ...of.flatMap((item) => {
        const cost = costs[item][index]
        return [
          `${figure(cost?.ns ?? Number.NaN)} ns`,
          `${figure(cost?.allocated ?? Number.NaN)} B`,
          `${figure(cost?.held ?? Number.NaN)} B`,
        ]
      }),
    ]),
  )
}

function itemParts({ items: costs }: ScaleData, charts: Telling['charts']): string[] {
  const limiters: Item[] = ['limiter-roomy', 'limiter-default', 'map']
  const queues: Item[] = ['queue-plain', 'queue-session']
  const curve = (title: string, by: string, of: readonly Item[]) =>
    curveChart({
      title,
      subtitle: `nanoseconds of CPU, by ${by}; level: cost grows in proportion`,
      series: ofEach(costs, of, 'ns'),
      formatX: short,
      formatY: (value) => `${whole(value)} ns`,
    })
  charts['scale-limiter'] = curve('A decision of the limiter', 'endpoints in turn', limiters)
  charts['scale-queue'] = curve('A message queued and flushed', 'messages in the queue', queues)
  return [
    '### Endpoints',
    '`RateLimiter.check` of so many endpoints in turn. A limiter keeps 10,000 by default; with more in use, new ones meet in a shared ' +
      'bucket, which bounds the memory. Held: heap of one endpoint. What a bare `Map` of counters comes to on the same keys is the ' +
      'machine (with its caches), so the gate is on what the limiter grows by beyond that.',
    '![A decision of the limiter](scale-limiter.svg)',
    itemTable(costs, limiters, 'endpoints'),
    '### Queued messages',
    'So many messages are sent while there is no line, then the line opens and takes them; in a session it acknowledges them, too. The ' +
      'connection itself is made anew for every queue, which is what few messages pay for. Held: heap of one waiting message besides its text.',
    '![A message queued and flushed](scale-queue.svg)',
    itemTable(costs, queues, 'messages'),
  ]
}

function dayParts({ days }: ScaleData): string[] {
  const rows: [string, Day][] = [
    ['plain', days.plain],
    ['in a session', days.session],
  ]
  return [
    '### A day',
    'A client and its server in simulated time: 24 hours of messages both ways, heartbeats and health polls; every ten minutes or so a cut, a ' +
      'server that is gone for up to a minute, or a network that swallows everything for up to 90 s. In a session every message must have ' +
      'arrived, once and in order, else this section fails. Heap of both sides after full collections.',
    table(
      [
        'connection',
        'messages sent',
        'arrived',
        'reconnections',
        'heartbeats',
        'health polls',
        'heap after 2 hours',
        'after 24',
        'took',
      ],
      rows.map(([name, { sent, received, reconnections, heartbeats, healthPolls, heaps, seconds }]) => [
        name,
        whole(sent),
        whole(received),
        whole(reconnections),
        whole(heartbeats),
        whole(healthPolls),
        bytes(heaps[2] ?? Number.NaN),
        bytes(heaps.at(-1) ?? Number.NaN),
        `${figure(seconds)} s`,
      ]),
    ),
  ]
}

export function tellScale(data: ScaleData): Telling {
  const charts: Telling['charts'] = {}
  const parts = [
    'Cost that grows in proportion shows as a level line: one costs the same among many. The gates compare the largest size with a tenth of it.',
    ...connectionParts(data, charts),
    ...itemParts(data, charts),
    ...dayParts(data),
  ]
  return { markdown: parts.join('\n\n'), charts, gates: gates(data) }
}
