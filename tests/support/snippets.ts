// The code blocks of a Markdown page, and how to run one.

import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Snippet {
  /** `docs/ApiClient.md:12`: the page and the line its block starts at. */
  readonly name: string
  readonly language: 'js' | 'cjs' | 'ts'
  readonly code: string
}

/** Blocks of ```js, ```cjs and ```ts; a block of ```js page runs in a browser and is left out, as is every other language. */
export function snippetsOf(root: string, page: string): Snippet[] {
  const snippets: Snippet[] = []
  const lines = readFileSync(join(root, page), 'utf8').split('\n')
  for (let index = 0; index < lines.length; index += 1) {
    const language = /^```(js|cjs|ts)\s*$/.exec(lines[index] ?? '')?.[1] as Snippet['language'] | undefined
    if (!language) continue
    const end = lines.indexOf('```', index)
    snippets.push({ name: `${page}:${index + 1}`, language, code: lines.slice(index + 1, end).join('\n') })
    index = end
  }
  return snippets
}

const EXTENSION = { js: 'mjs', cjs: 'cjs', ts: 'mts' } as const

/**
 * Runs a snippet in `folder` as it stands, but for the port of the backend. Resolves to its output.
 * A snippet has to end by itself: what keeps a process alive is a fault of the snippet or of the library.
 */
export function runSnippet(folder: string, snippet: Snippet, backendPort: number): Promise<string> {
  const code = snippet.code.replaceAll('localhost:8000', `127.0.0.1:${backendPort}`)
  const file = join(folder, `${snippet.name.replace(/\W+/g, '-')}.${EXTENSION[snippet.language]}`)
  writeFileSync(file, code)
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [file], { cwd: folder, timeout: 120_000 }, (error, stdout, stderr) => {
      if (error)
        reject(
          new Error(
            `${snippet.name} failed: ${error.killed ? 'it did not end within 30 s' : stderr}\n${stdout}`,
          ),
        )
      else resolve(stdout)
    })
  })
}

/** What a snippet says its `console.log` lines print: the comments behind them, in order. */
export function promisedOutput(snippet: Snippet): string[] {
  const promised: string[] = []
  for (const line of snippet.code.split('\n')) {
    const match = /console\.log\(.*\)+\s*\/\/ (.+)$/.exec(line)
    if (match?.[1]) promised.push(match[1])
  }
  return promised
}
