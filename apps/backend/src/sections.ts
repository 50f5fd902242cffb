// The project's own pages, cut at their headings: what the offline assistant knows.

import { readdirSync, readFileSync } from 'node:fs'
import { join, relative, sep } from 'node:path'

/** A heading with what stands under it. */
export interface Section {
  readonly id: number
  /** `docs/Endpoint.md#troubleshooting` */
  readonly citation: string
  /** The page's title and the headings down to this one. */
  readonly title: string
  readonly body: string
}

/** Every section of README.md, ARCHITECTURE.md and the pages under docs/. */
export function readSections(root: string): Section[] {
  const pages = [
    'README.md',
    'ARCHITECTURE.md',
    ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.md'))
      .map((file) => join('docs', file))
      .sort(),
  ]
  const sections: Section[] = []
  for (const page of pages) {
    const name = relative(root, join(root, page)).split(sep).join('/')
    for (const { title, anchor, body } of cut(readFileSync(join(root, page), 'utf8'))) {
      sections.push({ id: sections.length, citation: anchor ? `${name}#${anchor}` : name, title, body })
    }
  }
  return sections
}

interface Piece {
  readonly title: string
  readonly anchor: string
  readonly body: string
}

/** Cuts a page at its headings; a heading inside a code fence is none. */
export function cut(markdown: string): Piece[] {
  const pieces: { title: string; anchor: string; lines: string[] }[] = []
  const path: string[] = []
  let fenced = false
  for (const line of markdown.split('\n')) {
    if (line.startsWith('```')) fenced = !fenced
    const heading = fenced ? null : /^(#{1,4})\s+(.+?)\s*#*$/.exec(line)
    if (!heading) {
      pieces.at(-1)?.lines.push(line)
      continue
    }
    const [, marks = '', text = ''] = heading
    path.length = marks.length - 1
    path[marks.length - 1] = text
    pieces.push({
      title: path.filter(Boolean).join(' › '),
      anchor: marks.length === 1 ? '' : anchorOf(text),
      lines: [],
    })
  }
  return pieces
    .map(({ title, anchor, lines }) => ({ title, anchor, body: lines.join('\n').trim() }))
    .filter(({ body }) => body !== '')
}

/** The anchor that Markdown viewers give a heading. */
function anchorOf(heading: string): string {
  return heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replace(/\s/g, '-')
}
