// Verifies a folder of c2sp.org/tlog-tiles with golang.org/x/mod, which shares no code with the log: every entry,
// every tile, the signed checkpoint, and the proofs that the log made, if there are any (proofs.json). Prints one line, or what is wrong.
package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const tileHeight = 8
const tileWidth = 1 << tileHeight

// What x/mod expects where a checkpoint has its origin.
const treeHeader = "go.sum database tree"

type proofs struct {
	Inclusion []struct {
		Index  int64
		Size   int64
		Hashes []tlog.Hash
	}
	Consistency []struct {
		From   int64
		To     int64
		Hashes []tlog.Hash
	}
}

// Hashes that were computed from the entries alone, by storage index.
type computed []tlog.Hash

func (c computed) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for at, index := range indexes {
		if index < 0 || index >= int64(len(c)) {
			return nil, fmt.Errorf("no hash with storage index %d", index)
		}
		hashes[at] = c[index]
	}
	return hashes, nil
}

// The tiles as they are in the folder.
type folder string

func (f folder) Height() int { return tileHeight }

func (f folder) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	read := make([][]byte, len(tiles))
	for at, tile := range tiles {
		data, err := os.ReadFile(f.path(tile))
		if err != nil {
			return nil, err
		}
		read[at] = data
	}
	return read, nil
}

func (f folder) SaveTiles([]tlog.Tile, [][]byte) {}

// x/mod names the height of tiles in their paths, tlog-tiles does not.
func (f folder) path(tile tlog.Tile) string {
	return filepath.Join(string(f), strings.Replace(tile.Path(), fmt.Sprintf("tile/%d/", tileHeight), "tile/", 1))
}

func (f folder) bundle(n int64, width int) ([]byte, error) {
	path := tlog.Tile{H: tileHeight, L: 0, N: n, W: width}.Path()
	return os.ReadFile(filepath.Join(string(f), strings.Replace(path, "tile/8/0/", "tile/entries/", 1)))
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: verify FOLDER")
		os.Exit(2)
	}
	if err := verify(folder(os.Args[1])); err != nil {
		fmt.Println("refused:", err)
		os.Exit(1)
	}
}

func verify(f folder) error {
	tree, err := f.checkpoint()
	if err != nil {
		return err
	}
	fromEntries, err := f.entries(tree.N)
	if err != nil {
		return err
	}
	root, err := tlog.TreeHash(tree.N, fromEntries)
	if err != nil {
		return err
	}
	if root != tree.Hash {
		return errors.New("the entries do not have the signed root")
	}
	tiles, err := f.tiles(tree, fromEntries)
	if err != nil {
		return err
	}
	return f.proofs(tree, fromEntries, tiles)
}

func (f folder) checkpoint() (tlog.Tree, error) {
	vkey, err := os.ReadFile(filepath.Join(string(f), "log.vkey"))
	if err != nil {
		return tlog.Tree{}, err
	}
	verifier, err := note.NewVerifier(strings.TrimSpace(string(vkey)))
	if err != nil {
		return tlog.Tree{}, err
	}
	signed, err := os.ReadFile(filepath.Join(string(f), "checkpoint"))
	if err != nil {
		return tlog.Tree{}, err
	}
	opened, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	origin, rest, _ := strings.Cut(opened.Text, "\n")
	if origin != verifier.Name() {
		return tlog.Tree{}, fmt.Errorf("checkpoint of another log: %q", origin)
	}
	return tlog.ParseTree([]byte(treeHeader + "\n" + rest))
}

// All hashes of the tree, from the entries.
func (f folder) entries(size int64) (computed, error) {
	var hashes computed
	for index := int64(0); index < size; {
		width := tileWidth
		if size-index < tileWidth {
			width = int(size - index)
		}
		data, err := f.bundle(index/tileWidth, width)
		if err != nil {
			return nil, err
		}
		for entry := 0; entry < width; entry++ {
			if len(data) < 2 || len(data) < 2+int(binary.BigEndian.Uint16(data)) {
				return nil, fmt.Errorf("the bundle ends before entry %d", index)
			}
			length := int(binary.BigEndian.Uint16(data))
			more, err := tlog.StoredHashes(index, data[2:2+length], hashes)
			if err != nil {
				return nil, err
			}
			hashes = append(hashes, more...)
			data = data[2+length:]
			index++
		}
		if len(data) > 0 {
			return nil, fmt.Errorf("the bundle goes on after entry %d", index-1)
		}
	}
	return hashes, nil
}

// Every tile, against the entries, and once more as x/mod authenticates tiles against a signed tree.
func (f folder) tiles(tree tlog.Tree, fromEntries computed) (int, error) {
	count := 0
	for _, tile := range tlog.NewTiles(tileHeight, 0, tree.N) {
		// it lists the partial tiles of smaller trees as well
		if wide := tree.N>>(tileHeight*tile.L) - tile.N<<tileHeight; tile.W < tileWidth && int64(tile.W) < wide {
			continue
		}
		count++
		want, err := tlog.ReadTileData(tile, fromEntries)
		if err != nil {
			return 0, err
		}
		have, err := os.ReadFile(f.path(tile))
		if err != nil {
			return 0, err
		}
		if !bytes.Equal(have, want) {
			return 0, fmt.Errorf("%s does not hold the hashes of the entries", tile.Path())
		}
	}
	reader := tlog.TileHashReader(tree, f)
	for index := int64(0); index < tree.N; index += 97 {
		hashes, err := reader.ReadHashes([]int64{tlog.StoredHashIndex(0, index)})
		if err != nil {
			return 0, err
		}
		if hashes[0] != fromEntries[tlog.StoredHashIndex(0, index)] {
			return 0, fmt.Errorf("the tiles hold another hash of entry %d", index)
		}
	}
	return count, nil
}

func (f folder) proofs(tree tlog.Tree, fromEntries computed, tiles int) error {
	text, err := os.ReadFile(filepath.Join(string(f), "proofs.json"))
	if errors.Is(err, os.ErrNotExist) {
		text = []byte("{}")
	} else if err != nil {
		return err
	}
	var made proofs
	if err := json.Unmarshal(text, &made); err != nil {
		return err
	}
	for _, p := range made.Inclusion {
		root, err := tlog.TreeHash(p.Size, fromEntries)
		if err != nil {
			return err
		}
		leaf := fromEntries[tlog.StoredHashIndex(0, p.Index)]
		if err := tlog.CheckRecord(p.Hashes, p.Size, root, p.Index, leaf); err != nil {
			return fmt.Errorf("inclusion of %d in %d: %w", p.Index, p.Size, err)
		}
	}
	for _, p := range made.Consistency {
		older, err := tlog.TreeHash(p.From, fromEntries)
		if err != nil {
			return err
		}
		newer, err := tlog.TreeHash(p.To, fromEntries)
		if err != nil {
			return err
		}
		if err := tlog.CheckTree(p.Hashes, p.To, newer, p.From, older); err != nil {
			return fmt.Errorf("consistency of %d with %d: %w", p.From, p.To, err)
		}
	}
	fmt.Printf("verified: %d entries, %d tiles, %d inclusion proofs, %d consistency proofs\n",
		tree.N, tiles, len(made.Inclusion), len(made.Consistency))
	return nil
}
