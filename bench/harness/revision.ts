// Another revision of the project, built beside this one: a temporary git worktree with this checkout's tools.

import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))

export interface BuiltRevision {
  name: string
  dist: string
  remove(): void
}

export function buildRevision(revision: string): BuiltRevision {
  const name = execFileSync('git', ['rev-parse', '--short', `${revision}^{commit}`], {
    cwd: root,
    encoding: 'utf8',
  }).trim()
  const directory = mkdtempSync(join(tmpdir(), 'guru-bench-'))
  const tree = join(directory, 'tree')
  execFileSync('git', ['worktree', 'add', '--detach', tree, name], { cwd: root, stdio: 'ignore' })
  const remove = () => {
    execFileSync('git', ['worktree', 'remove', '--force', tree], { cwd: root, stdio: 'ignore' })
    rmSync(directory, { recursive: true, force: true })
  }
  try {
    symlinkSync(join(root, 'node_modules'), join(tree, 'node_modules'))
    const compiler = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
    try {
      execFileSync(process.execPath, [compiler, '-p', 'tsconfig.build.json'], { cwd: tree, stdio: 'ignore' })
    } catch {
      // Type errors do not keep it from emitting; what is missing shows when a case is loaded.
    }
  } catch (error) {
    remove()
    throw error
  }
  return { name, dist: join(tree, 'dist'), remove }
}
