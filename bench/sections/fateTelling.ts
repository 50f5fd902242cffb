// What became of the messages.

import { fateContestants } from '../contestants/fate/registry.ts'
import type { Fate } from '../harness/judge.ts'
import { barChart } from '../report/charts.ts'
import { table } from '../report/markdown.ts'
import { type FateData, type Fault, faults } from './fateData.ts'
import type { Gate, Telling } from './section.ts'

const LOSSLESS = 'guru-session'
const whole = (value: number) => value.toLocaleString('en-US')
const nameOf = (id: string) => fateContestants[id]?.name ?? id
const boldNameOf = (id: string) => (fateContestants[id]?.kind === 'ours' ? `**${nameOf(id)}**` : nameOf(id))

type Count = 'taken' | 'lost' | 'doubled' | 'reordered' | 'told'

function both(fates: Record<'up' | 'down', Omit<Fate, 'lostAt'>> | undefined, what: Count): number {
  return fates ? fates.up[what] + fates.down[what] : Number.NaN
}

function gates({ fates }: FateData): Gate[] {
  return (['lost', 'doubled', 'reordered'] as const).map((what) => ({
    figure: `messages ${what} in a session under cuts, deaths, blackholes and half-open lines`,
    bound: 'max',
    must: 0,
    aim: 0,
    measured: both(fates[LOSSLESS], what),
    unit: '',
  }))
}

export function tellFate(data: FateData): Telling {
  const { fates, lostBy, script, patienceMs } = data
  // The order of the registry: what is lost differs by chance from run to run, and is no ranking among those that lose.
  const ids = Object.keys(fateContestants).filter((id) => fates[id])
  const done = (Object.keys(faults) as Fault[]).filter((fault) => fault !== 'none')
  const parts = [
    `Both apps count aloud, in bursts of up to five every 200 ms, over a line that takes 10 ms each way; everyone goes through ${done.reduce((sum, fault) => sum + script[fault], 0)} faults, ` +
      'with a client, a server and a proxy of its own. A message counts as sent when the library had taken it, and a server pushes only ' +
      'while it believes in a client or keeps messages for one. *Lost*: never arrived, and nobody said so. *Told*: the sender ' +
      'heard that this message was refused, dropped or in doubt. In our session the server has a store and handles ' +
      'in its transactions, as its documentation advises.',
    '![Lost messages](fate.svg)',
    table(
      [
        'contestant',
        'up: sent',
        'lost',
        'doubled',
        'reordered',
        'told',
        'down: sent',
        'lost',
        'doubled',
        'reordered',
        'told',
      ],
      ids.map((id) => [
        boldNameOf(id),
        ...(['up', 'down'] as const).flatMap((way) =>
          (['taken', 'lost', 'doubled', 'reordered', 'told'] as const).map((what) =>
            whole(fates[id]?.[way][what] ?? Number.NaN),
          ),
        ),
      ]),
    ),
    'Lost, both ways together, by the fault during or after which they were sent:',
    table(
      ['fault', 'times', ...ids.map(boldNameOf)],
      done.map((fault) => [
        faults[fault],
        `${script[fault]}`,
        ...ids.map((id) => whole(lostBy[id]?.[fault] ?? Number.NaN)),
      ]),
    ),
    `A library that never notices a half-open line goes on to send into it; here the line was reset after ${patienceMs / 1000} s. ` +
      'centrifuge is left out: what it recovers comes from the history of its own server, a program in Go. SignalR takes part without stateful ' +
      'reconnect, which needs its own server, too. socket.io advises apps that cannot lose a message to number them and to keep ' +
      'them in a database; that is not in these figures.',
  ]
  const failed = Object.entries(data.failures)
  if (failed.length)
    parts.push(failed.map(([id, why]) => `- ${nameOf(id)} did not finish: ${why}`).join('\n'))
  const chart = barChart({
    title: 'Messages lost under the same faults',
    subtitle: 'both ways together; shorter is better; beside it: doubled',
    bars: ids.map((id) => ({
      label: nameOf(id),
      value: both(fates[id], 'lost'),
      kind: fateContestants[id]?.kind ?? 'peer',
      ...(both(fates[id], 'doubled') > 0 && { note: `${whole(both(fates[id], 'doubled'))} doubled` }),
    })),
    format: whole,
  })
  return { markdown: parts.join('\n\n'), charts: { fate: chart }, gates: gates(data) }
}
