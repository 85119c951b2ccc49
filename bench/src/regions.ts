/** The parts of a Markdown file that the bench writes: from `<!-- bench:name -->` to `<!-- /bench:name -->`. */
const region = /(<!-- bench:([a-z0-9-]+) -->\n)[\s\S]*?(<!-- \/bench:\2 -->)/g

/** A part for which there is nothing to say stays as it is. */
export const fill = (text: string, render: (name: string) => string | undefined): string =>
  text.replace(region, (whole: string, begin: string, name: string, end: string) => {
    const content = render(name)
    return content === undefined ? whole : `${begin}\n${content}\n\n${end}`
  })
