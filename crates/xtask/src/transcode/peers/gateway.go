// The smallest server around grpc-gateway's generated code, with its defaults.
package main

import (
	"context"
	"flag"
	"log"
	"net/http"

	"bench/benchv1"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

func main() {
	listen := flag.String("listen", "", "address")
	upstream := flag.String("upstream", "", "address")
	flag.Parse()
	mux := runtime.NewServeMux()
	options := []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}
	err := benchv1.RegisterBenchServiceHandlerFromEndpoint(context.Background(), mux, *upstream, options)
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.ListenAndServe(*listen, mux))
}
