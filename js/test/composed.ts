/** The package's shaders with what they import, as `webgpu_widget/shaders/source.py` makes them: imports, each once, behind a shader's own text. */

/** Modules by name, of files by name below `shaders/`; those in `shared/` are there to be imported. */
export function composed(files: Readonly<Record<string, string>>): Record<string, string> {
  const own = Object.keys(files).filter((name) => !name.startsWith("shared/"));
  return Object.fromEntries(own.map((name) => [name, module(files, name)]));
}

/** The same for files by path, as Vite's glob gives them. */
export function composedFromPaths(files: Readonly<Record<string, string>>): Record<string, string> {
  return composed(Object.fromEntries(Object.entries(files).map(([path, text]) => [path.replace(/^.*\/shaders\/|\.wgsl$/g, ""), text])));
}

function module(files: Readonly<Record<string, string>>, name: string): string {
  const parts = new Map<string, string>();
  const take = (part: string): void => {
    const text = files[part];
    if (text === undefined) throw new Error(`${name} imports ${part}, which is not there`);
    if (parts.has(part)) return;
    parts.set(part, text.replace(/^#import /gm, "// #import "));
    for (const [, other] of text.matchAll(/^#import (\S+)$/gm)) take(other as string);
  };
  take(name);
  const [first, ...others] = parts.values();
  const rest = others.join("\n");
  const directives = new Set(rest.match(/^enable [^;]*;$/gm));
  const front = [...directives].filter((directive) => !first?.includes(`${directive}\n`)).join(" ");
  return `${front} ${first}\n${rest.replace(/^enable [^;]*;$/gm, "")}`;
}
