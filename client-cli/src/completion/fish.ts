import { everyNode, everyOption, quoted, type CommandNode, type Taken } from './tree.js';

/** As `~/.config/fish/completions/postern.fish`, or for `source`. */
export function fishCompletion(tree: CommandNode): string {
  const nodes = [...everyNode(tree)];
  const valued = everyOption(tree).flatMap(({ flag, value }) => (value === null ? [] : [flag]));
  const at = (path: string, more = ''): string => `-n '__postern_at "${path}"${more}'`;
  const lines = nodes.flatMap((node) => [
    ...node.children.map(
      (child) => `complete -c postern ${at(node.path)} -a ${child.name} -d ${quoted(child.description)}`,
    ),
    ...node.options.map(
      ({ flag, description, value }) =>
        `complete -c postern ${at(node.path)} -l ${flag.slice(2)} -d ${quoted(description)}${value === null ? '' : ` -r ${source(value)}`}`,
    ),
    ...node.args.map((arg, index) => `complete -c postern ${at(node.path, ` ${index}`)} ${source(arg)}`),
  ]);
  return `# fish completion of postern. postern completion fish > ~/.config/fish/completions/postern.fish

function __postern_at --description 'whether the words before the cursor are this command, with so many arguments'
    set -l children ${children(tree)}
    set -l words (commandline -opc)
    set -l path
    set -l count 0
    set -l pending 0
    for word in $words[2..-1]
        if test $pending = 1
            set pending 0
        else if contains -- $word ${valued.join(' ')}
            set pending 1
        else if not string match -q -- '-*' $word
            if test $count = 0; and contains -- (string join ' ' $path $word) $children
                set path $path $word
            else
                set count (math $count + 1)
            end
        end
    end
    test "$path" = "$argv[1]"; or return 1
    test (count $argv) = 1; or test $argv[2] = $count
end

complete -c postern -e
complete -c postern -f
${lines.join('\n')}
`;
}

const children = (tree: CommandNode): string =>
  [...everyNode(tree)]
    .filter(({ path }) => path !== '')
    .map(({ path }) => quoted(path))
    .join(' ');

function source(taken: Taken): string {
  switch (taken.kind) {
    case 'words':
      return `-f -a ${quoted(taken.words.join(' '))}`;
    case 'device':
    case 'profile':
      return `-f -a '(postern complete-words ${taken.kind} 2>/dev/null)'`;
    case 'file':
      return '-F';
    case 'folder':
      return `-f -a '(__fish_complete_directories (commandline -ct))'`;
    case 'none':
      return '-f';
  }
}
