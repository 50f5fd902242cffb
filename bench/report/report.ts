// Keeps the figures of each section as JSON and makes one Markdown report of all that are kept.

import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import type { Gate, Section } from '../sections/section.ts'
import { gatesTable } from './gates.ts'

const results = new URL('../results/', import.meta.url)

interface Kept {
  at: string
  revision: string
  node: string
  machine: string
  quick: boolean
  seed: number
  seconds: number
  data: unknown
}

function git(...args: string[]): string {
  try {
    return execFileSync('git', args, { cwd: new URL('..', import.meta.url), encoding: 'utf8' }).trim()
  } catch {
    return ''
  }
}

function machine(): string {
  const [cpu] = cpus()
  return `${cpus().length} cores (${cpu?.model.trim() ?? 'unknown'}), ${Math.round(totalmem() / 2 ** 30)} GB, ${process.platform} ${process.arch}`
}

/** Five digits are more than any figure here deserves; they keep the files small. */
function rounded(_key: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(5)) : value
}

export function keep(name: string, data: unknown, run: Pick<Kept, 'quick' | 'seed' | 'seconds'>): void {
  mkdirSync(results, { recursive: true })
  const changed = git('status', '--porcelain', '--', '../src') !== ''
  const kept: Kept = {
    at: new Date().toISOString().slice(0, 16).replace('T', ' '),
    revision: git('rev-parse', '--short', 'HEAD') + (changed ? ' with changes' : ''),
    node: process.version,
    machine: machine(),
    ...run,
    seconds: Math.round(run.seconds),
    data,
  }
  writeFileSync(new URL(`${name}.json`, results), `${JSON.stringify(kept, rounded, 1)}\n`)
}

/** Writes report.md and its charts from all figures kept; returns the gates of all sections. */
export function writeReport(sections: readonly Section[]): Gate[] {
  const gates: Gate[] = []
  const parts: string[] = []
  const machines = new Set<string>()
  const charts: Record<string, string> = {}
  for (const section of sections) {
    const file = new URL(`${section.name}.json`, results)
    if (!existsSync(file)) continue
    const kept = JSON.parse(readFileSync(file, 'utf8')) as Kept
    const told = section.tell(kept.data)
    gates.push(...told.gates)
    Object.assign(charts, told.charts)
    machines.add(kept.machine)
    parts.push(
      `## ${section.title}`,
      `*${kept.at} UTC, revision ${kept.revision}, Node ${kept.node}${kept.quick ? ', quick run' : ''}, ${kept.seconds} s. ` +
        `Again: \`npm run bench -- ${section.name}${kept.quick ? ' --quick' : ''} --seed ${kept.seed}\`.*`,
      told.markdown,
    )
  }
  for (const name of readdirSync(results)) {
    if (name.endsWith('.svg')) rmSync(new URL(name, results))
  }
  for (const [name, chart] of Object.entries(charts)) writeFileSync(new URL(`${name}.svg`, results), chart)
  const report = [
    '# What guru-comms costs, and what others cost',
    `Measured on ${[...machines].join('; ')}. How: [bench/README.md](../README.md). Rivals and their exact versions: [package.json](../package.json).`,
    '## Gates',
    gatesTable(gates),
    ...parts,
  ]
  writeFileSync(new URL('report.md', results), `${report.join('\n\n')}\n`)
  return gates
}
