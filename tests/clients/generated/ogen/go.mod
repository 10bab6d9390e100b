module journey

go 1.25

tool github.com/ogen-go/ogen/cmd/ogen

require github.com/ogen-go/ogen v1.25.0
