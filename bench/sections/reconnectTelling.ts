// What the figures of reconnecting say.

import { wsContestants } from '../contestants/ws/registry.ts'
import { quantile } from '../harness/statistics.ts'
import { type Bar, barChart } from '../report/charts.ts'
import { figure, table } from '../report/markdown.ts'
import type { Talk } from '../workers/reconnect.ts'
import { type ReconnectData, type Restart, talks, type Waits } from './reconnectData.ts'
import type { Gate, Telling } from './section.ts'

const OURS = 'guru'
const nameOf = (id: string) => wsContestants[id]?.name ?? id
const boldNameOf = (id: string) => (id === OURS ? `**${nameOf(id)}**` : nameOf(id))
const kindOf = (id: string): Bar['kind'] => (id === OURS ? 'ours' : 'peer')

/** Seconds. Who is missing took longer than all others. */
function at(waits: Waits | undefined, q: number): number {
  if (!waits) return Number.NaN
  const all = [...waits.waits, ...new Array<number>(waits.missing).fill(Number.POSITIVE_INFINITY)]
  const value = q === 1 ? Math.max(...all) : quantile(all, q)
  return Number.isFinite(value) ? value / 1000 : Number.POSITIVE_INFINITY
}

const seconds = (value: number) => `${figure(value)} s`
const percent = (value: number) => `${figure(value * 100)} %`
const worst = (restarts: readonly Restart[] | undefined, what: keyof Restart) =>
  Math.max(...(restarts ?? [{ [what]: Number.NaN } as never]).map((one) => one[what]))

/** Least first; those without a figure last. */
function ranked(ids: readonly string[], value: (id: string) => number): string[] {
  return ids.toSorted((a, b) => (value(a) === value(b) ? 0 : value(a) - value(b)))
}

function outageParts(data: ReconnectData, charts: Telling['charts']): string[] {
  const lengths = [...new Set(Object.values(data.outages).flatMap((known) => Object.keys(known)))]
  const parts: string[] = []
  for (const length of lengths) {
    const of = (id: string) => data.outages[id]?.[length]
    const ids = ranked(
      Object.keys(data.outages).filter((id) => of(id)),
      (id) => at(of(id), 0.5),
    )
    const cell = (value: number) => (value === Number.POSITIVE_INFINITY ? 'not within 60 s' : seconds(value))
    charts[`reconnect-${length}s`] = barChart({
      title: `Server back after ${length} s: time until the client is open`,
      subtitle: 'seconds, median; shorter is better; whiskers: least and most',
      bars: ids
        .filter((id) => at(of(id), 0.5) < Number.POSITIVE_INFINITY)
        .map((id) => ({
          label: nameOf(id),
          value: at(of(id), 0.5),
          min: at(of(id), 0),
          max: (of(id)?.waits.at(-1) ?? 0) / 1000,
          kind: kindOf(id),
        })),
      format: seconds,
    })
    parts.push(
      `### An outage of ${length} s`,
      `![An outage of ${length} s](reconnect-${length}s.svg)`,
      table(
        ['contestant', 'clients', 'median', 'least', '95 of 100', 'last'],
        ids.map((id) => [
          boldNameOf(id),
          `${(of(id)?.waits.length ?? 0) + (of(id)?.missing ?? 0)}`,
          ...[0.5, 0, 0.95, 1].map((q) => cell(at(of(id), q))),
        ]),
      ),
    )
  }
  return parts
}

function frozenParts(data: ReconnectData, charts: Telling['charts']): string[] {
  const ids = ranked(Object.keys(data.frozen), (id) => at(data.frozen[id]?.silent, 0.5))
  const limit = `not within ${data.frozenForMs / 1000} s`
  const cell = (waits: Waits | undefined) => {
    const [median, last] = [at(waits, 0.5), at(waits, 1)]
    if (median === Number.POSITIVE_INFINITY) return limit
    return `${seconds(median)} (last ${last === Number.POSITIVE_INFINITY ? limit : seconds(last)})`
  }
  const noticing = ids.filter((id) => at(data.frozen[id]?.silent, 0.5) < Number.POSITIVE_INFINITY)
  const blind = ids.filter((id) => !noticing.includes(id))
  charts['reconnect-frozen'] = barChart({
    title: 'A frozen server: time until a silent client notices',
    subtitle:
      'seconds, median; shorter is better; whiskers: least and most' +
      (blind.length ? `; ${blind.length} others: ${limit}` : ''),
    bars: noticing.map((id) => ({
      label: nameOf(id),
      value: at(data.frozen[id]?.silent, 0.5),
      min: at(data.frozen[id]?.silent, 0),
      max: (data.frozen[id]?.silent.waits.at(-1) ?? 0) / 1000,
      kind: kindOf(id),
    })),
    format: seconds,
  })
  return [
    '### A frozen server',
    'The process is stopped (SIGSTOP): its sockets stay, the kernel goes on to take what is sent, and nothing answers. From that ' +
      'moment until the library tells that the connection is gone. Ours pings after five seconds in which nothing followed a message, or ' +
      '30 s after the last ping, and gives ten to answer; so a client in conversation notices 15 s after its first message ' +
      'that is not answered.',
    '![A frozen server](reconnect-frozen.svg)',
    table(
      ['contestant', ...(Object.keys(talks) as Talk[]).map((talk) => `a client that ${talks[talk]}`)],
      ids.map((id) => [
        boldNameOf(id),
        ...(Object.keys(talks) as Talk[]).map((talk) => cell(data.frozen[id]?.[talk])),
      ]),
    ),
  ]
}

function fleetParts({ fleets }: ReconnectData, charts: Telling['charts']): string[] {
  const ids = ranked(Object.keys(fleets), (id) => worst(fleets[id], 'peak'))
  charts['reconnect-fleet'] = barChart({
    title: 'A fleet of 500 after a restart: connections in the busiest 100 ms',
    subtitle:
      'share of the fleet, the worst restart; shorter is kinder to the server; beside it: when the last was back',
    bars: ids.map((id) => ({
      label: nameOf(id),
      value: worst(fleets[id], 'peak'),
      kind: kindOf(id),
      note: `${seconds(worst(fleets[id], 'lastMs') / 1000)}`,
    })),
    format: percent,
  })
  return [
    '### A fleet after a restart',
    'The server of 500 clients is killed and listens again one second later. Counted at the server: connections in the busiest 100 ms, ' +
      'the same together with requests of other kinds (ours asks the health address), and the time until the last was back.',
    '![A fleet after a restart](reconnect-fleet.svg)',
    table(
      ['contestant', 'restarts', 'busiest 100 ms', 'with other requests', 'last client back', 'not back'],
      ids.map((id) => [
        boldNameOf(id),
        `${fleets[id]?.length}`,
        percent(worst(fleets[id], 'peak')),
        percent(worst(fleets[id], 'peakOfAll')),
        seconds(worst(fleets[id], 'lastMs') / 1000),
        `${worst(fleets[id], 'missing')}`,
      ]),
    ),
  ]
}

function better(data: ReconnectData): string {
  const lines: string[] = []
  const compare = (what: string, ids: readonly string[], value: (id: string) => number, unit = seconds) => {
    const ours = value(OURS)
    const ahead = ranked(
      ids.filter((id) => value(id) < ours),
      value,
    )
    if (ahead.length) {
      lines.push(
        `- ${what} (ours ${unit(ours)}): ${ahead.map((id) => `${nameOf(id)} ${unit(value(id))}`).join(', ')}.`,
      )
    }
  }
  const ids = Object.keys(data.outages)
  for (const length of Object.keys(data.outages[OURS] ?? {})) {
    compare(`Back after an outage of ${length} s, median`, ids, (id) => at(data.outages[id]?.[length], 0.5))
  }
  for (const talk of Object.keys(talks) as Talk[]) {
    compare(`A frozen server, a client that ${talks[talk]}, median`, ids, (id) =>
      at(data.frozen[id]?.[talk], 0.5),
    )
  }
  compare('A fleet, busiest 100 ms', ids, (id) => worst(data.fleets[id], 'peak'), percent)
  compare('A fleet, last client back', ids, (id) => worst(data.fleets[id], 'lastMs') / 1000)
  return lines.length ? lines.join('\n') : 'No rival is ahead in any of these figures.'
}

function gates(data: ReconnectData): Gate[] {
  const gate = (figure: string, must: number, aim: number, measured: number, unit: string): Gate => ({
    figure,
    bound: 'max',
    must,
    aim,
    measured,
    unit,
  })
  const ours = data.fleets[OURS]
  return [
    ...Object.entries(data.outages[OURS] ?? {}).map(([length, waits]) =>
      gate(`server back to client open after an outage of ${length} s, median`, 2.5, 2, at(waits, 0.5), 's'),
    ),
    gate(
      'a frozen server is noticed by a client that is sending, median',
      15,
      15,
      at(data.frozen[OURS]?.sending, 0.5),
      's',
    ),
    gate(
      'a frozen server is noticed by a client that is silent, at the latest',
      41,
      41,
      at(data.frozen[OURS]?.silent, 1),
      's',
    ),
    gate(
      'a fleet of 500 after a restart: connections in the busiest 100 ms',
      15,
      10,
      worst(ours, 'peak') * 100,
      '%',
    ),
    gate(
      'the same: last client back',
      15,
      10,
      worst(ours, 'missing') === 0 ? worst(ours, 'lastMs') / 1000 : Number.POSITIVE_INFINITY,
      's',
    ),
  ]
}

export function tellReconnect(data: ReconnectData): Telling {
  const charts: Telling['charts'] = {}
  const parts = [
    `Every library with its defaults, ${data.clients} clients of each in a process of its own, all on one server. The server is killed (SIGKILL), ` +
      'another process listens on its port when the outage is over, and from that moment the time is taken until the library tells ' +
      'that it is connected. SignalR and centrifuge talk to a server that speaks as much of their protocols as they need ' +
      'for this, with the heartbeats that their own servers have.',
    ...outageParts(data, charts),
    ...frozenParts(data, charts),
    ...fleetParts(data, charts),
    '### Where a rival is better',
    better(data),
  ]
  const failed = Object.entries(data.failures)
  if (failed.length) parts.push(failed.map(([id, why]) => `- ${nameOf(id)} did not run: ${why}`).join('\n'))
  return { markdown: parts.join('\n\n'), charts, gates: gates(data) }
}
